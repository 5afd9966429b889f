//! The stack of the machine, with marks below which a part of the program does not reach.

use super::heap::Value;

#[derive(Default)]
pub struct Stack {
    values: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
}

impl Stack {
    pub fn push(&mut self, value: Value) {
        self.values.push(value);
    }

    pub fn mark(&mut self) {
        self.marks.push(self.values.len());
    }

    /// The height of the stack above which this part of the program works.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub fn pop(&mut self) -> Result<Value, String> {
        self.top()?;
        self.values.pop().ok_or_else(empty)
    }

    pub fn top(&self) -> Result<&Value, String> {
        self.values.get(self.floor()..).and_then(<[_]>::last).ok_or_else(empty)
    }

    pub fn last(&mut self, count: usize) -> Result<Vec<Value>, String> {
        let from = self.values.len().checked_sub(count).filter(|from| *from >= self.floor());
        Ok(self.values.split_off(from.ok_or_else(empty)?))
    }

    pub fn above_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().ok_or("goes back to a mark that is not there")?;
        Ok(self.values.split_off(mark))
    }
}

fn empty() -> String {
    "takes from an empty stack".into()
}
