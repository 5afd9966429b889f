//! The machine that pickles are programs of, for the opcodes that state dicts use. It makes plain
//! values, storages and tensors; see [`globals`](super::globals) for the names it knows.
//!
//! Refused, by name and place: every other opcode, among them those that make objects of classes,
//! and what takes from an empty stack, asks the memo for what is not there or calls what is no
//! name.

use std::collections::BTreeMap;

use super::NO_CODE;
use super::cursor::Cursor;
use super::globals::{Global, global};
use super::heap::{Heap, Value, text};
use super::opcodes::unread;
use super::stack::Stack;
use super::torch;

/// The most opcodes of a checkpoint. Each takes a few dozen bytes at most.
pub const MOST: usize = 2 << 20;

/// What a pickle made, and the byte after it.
#[derive(Debug)]
pub struct Made {
    pub heap: Heap,
    pub root: Value,
    pub end: usize,
}

/// Runs the pickle that begins at `from` of `bytes`.
///
/// # Errors
/// What is wrong and where, to be said of the file.
pub fn run(bytes: &[u8], from: usize) -> Result<Made, String> {
    let (stack, memo) = (Stack::default(), BTreeMap::new());
    let input = Cursor { bytes, at: from };
    let mut machine = Machine { input, stack, memo, heap: Heap::default() };
    for _ in 0..MOST {
        let at = machine.input.at;
        let made = machine.step().map_err(|what| format!("byte {at} of its pickle {what}"))?;
        if let Some(root) = made {
            return Ok(Made { heap: machine.heap, root, end: machine.input.at });
        }
    }
    Err(format!("has a pickle of more than {MOST} opcodes"))
}

struct Machine<'a> {
    input: Cursor<'a>,
    stack: Stack,
    memo: BTreeMap<u64, Value>,
    heap: Heap,
}

impl Machine<'_> {
    /// Does the next opcode; the last one gives what was made.
    fn step(&mut self) -> Result<Option<Value>, String> {
        let [code] = self.input.fixed()?;
        match code {
            b'.' => return self.stack.pop().map(Some),
            0x80 => {
                let [protocol] = self.input.fixed()?;
                if !(2..=5).contains(&protocol) {
                    return Err(format!("is of protocol {protocol}; packer reads 2 to 5"));
                }
            }
            0x95 => drop(self.input.fixed::<8>()?),
            b'(' => self.stack.mark(),
            b'c' | 0x93 => self.name(code)?,
            b'R' | 0x81 => self.call(code)?,
            b'b' => self.build()?,
            b'Q' => self.storage()?,
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memory(code)?,
            b't' | 0x85..=0x87 | b']' | b')' | b'}' => self.collection(code)?,
            b'a' | b'e' | b's' | b'u' => self.fill(code)?,
            _ => {
                let value = self.plain(code)?;
                self.stack.push(value);
            }
        }
        Ok(None)
    }

    /// A value that is one opcode.
    fn plain(&mut self, code: u8) -> Result<Value, String> {
        let length = |n: u32| n as usize;
        Ok(match code {
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool(code == 0x88),
            b'K' => Value::Int(u8::from_le_bytes(self.input.fixed()?).into()),
            b'M' => Value::Int(u16::from_le_bytes(self.input.fixed()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.input.fixed()?).into()),
            0x8a => self.long()?,
            b'G' => {
                self.input.fixed::<8>()?;
                Value::Inert
            }
            b'X' | b'T' => {
                let n = length(u32::from_le_bytes(self.input.fixed()?));
                Value::Text(self.input.take(n)?)
            }
            0x8c | b'U' => {
                let [n] = self.input.fixed()?;
                Value::Text(self.input.take(n.into())?)
            }
            b'B' => {
                let n = length(u32::from_le_bytes(self.input.fixed()?));
                self.input.take(n)?;
                Value::Inert
            }
            b'C' => {
                let [n] = self.input.fixed()?;
                self.input.take(n.into())?;
                Value::Inert
            }
            other => return Err(unread(other)),
        })
    }

    /// A whole number of up to 16 bytes, in two's complement.
    fn long(&mut self) -> Result<Value, String> {
        let [n] = self.input.fixed()?;
        let range = self.input.take(n.into())?;
        let bytes = &self.input.bytes[range];
        let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 16];
        let Some(low) = whole.get_mut(..bytes.len()) else {
            return Err(format!("has a whole number of {n} bytes"));
        };
        low.copy_from_slice(bytes);
        Ok(Value::Int(i128::from_le_bytes(whole)))
    }

    /// GLOBAL and STACK_GLOBAL.
    fn name(&mut self, code: u8) -> Result<(), String> {
        let (module, name) = if code == b'c' {
            (self.input.line()?, self.input.line()?)
        } else {
            let (name, module) = (self.stack.pop()?, self.stack.pop()?);
            let (Value::Text(name), Value::Text(module)) = (&name, &module) else {
                return Err("has a name that is no text".into());
            };
            (module.clone(), name.clone())
        };
        let known = global(&text(self.input.bytes, &module)?, &text(self.input.bytes, &name)?)?;
        self.stack.push(Value::Global(known));
        Ok(())
    }

    /// REDUCE and NEWOBJ.
    fn call(&mut self, code: u8) -> Result<(), String> {
        let (arguments, callee) = (self.stack.pop()?, self.stack.pop()?);
        let Value::Global(global) = callee else {
            return Err(format!("calls {}: {NO_CODE}", callee.kind()));
        };
        if code == 0x81 && global != Global::Inert {
            return Err(format!("makes an object of {global:?}: {NO_CODE}"));
        }
        let made = torch::called(&mut self.heap, global, &arguments)?;
        self.stack.push(made);
        Ok(())
    }

    /// BUILD: attributes of a dictionary or of plain data, of which nothing is kept.
    fn build(&mut self) -> Result<(), String> {
        self.stack.pop()?;
        match self.stack.top()? {
            Value::Dict(_) | Value::Inert => Ok(()),
            other => Err(format!("sets attributes of {}: {NO_CODE}", other.kind())),
        }
    }

    /// BINPERSID.
    fn storage(&mut self) -> Result<(), String> {
        let id = self.stack.pop()?;
        let made = torch::stored(&mut self.heap, self.input.bytes, &id)?;
        self.stack.push(made);
        Ok(())
    }

    /// Opcodes that put into the memo what is on top of the stack, and those that take it out.
    fn memory(&mut self, code: u8) -> Result<(), String> {
        let place = match code {
            b'q' | b'h' => u8::from_le_bytes(self.input.fixed()?).into(),
            b'r' | b'j' => u32::from_le_bytes(self.input.fixed()?).into(),
            _ => self.memo.len() as u64,
        };
        if matches!(code, b'h' | b'j') {
            let Some(value) = self.memo.get(&place) else {
                return Err(format!("takes {place} out of the memo, which is not there"));
            };
            self.stack.push(value.clone());
        } else {
            self.memo.insert(place, self.stack.top()?.clone());
        }
        Ok(())
    }

    fn collection(&mut self, code: u8) -> Result<(), String> {
        let made = match code {
            b']' => self.heap.list(),
            b'}' => self.heap.dict(),
            _ => {
                let values = match code {
                    b't' => self.stack.above_mark()?,
                    b')' => Vec::new(),
                    _ => self.stack.last(usize::from(code - 0x84))?,
                };
                self.heap.tuple(values)
            }
        };
        self.stack.push(made);
        Ok(())
    }

    /// APPEND, APPENDS, SETITEM and SETITEMS.
    fn fill(&mut self, code: u8) -> Result<(), String> {
        let values = match code {
            b'a' => self.stack.last(1)?,
            b's' => self.stack.last(2)?,
            _ => self.stack.above_mark()?,
        };
        match (code, self.stack.top()?.clone()) {
            (b'a' | b'e', Value::List(place)) => self.heap.lists[place].extend(values),
            (b's' | b'u', Value::Dict(place)) => {
                if values.len() % 2 != 0 {
                    return Err("puts a key without a value into a dictionary".into());
                }
                let mut values = values.into_iter();
                let pairs = std::iter::from_fn(|| values.next().zip(values.next()));
                self.heap.dicts[place].extend(pairs);
            }
            (_, other) => return Err(format!("puts something into {}", other.kind())),
        }
        Ok(())
    }
}
