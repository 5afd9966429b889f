//! The tasks of a forge item's members.

use crate::Error;
use crate::forge::{Members, TaskData};
use crate::merge::Task;

/// The members' tasks in their order.
pub(in crate::forge) fn task_data(members: &dyn Members) -> Result<Vec<TaskData>, Error> {
    let own = |i| {
        let (id, name) = (members.digest(i).into(), task_name(members, i).into());
        Ok(TaskData { id, name, head: members.head(i)?, set: members.condensed(i)? })
    };
    (0..members.len()).map(own).collect()
}

/// The same tasks as merging takes them.
pub(in crate::forge) fn borrowed(data: &[TaskData]) -> Vec<Task<'_>> {
    data.iter().map(|task| Task { name: &task.name, head: &task.head, set: &task.set }).collect()
}

/// The task of a member, whose name is `CONTRIBUTOR/TASK`.
pub(super) fn task_name(members: &dyn Members, i: usize) -> &str {
    let name = members.name(i);
    name.rsplit_once('/').map_or(name, |(_, task)| task)
}
