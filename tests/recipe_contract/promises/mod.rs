//! What is promised. Each promise is one function, which runs for every kind that the table names.

mod company;
mod giving_up;
mod links;
mod loss;
mod order;
mod queue;

pub(crate) use self::company::*;
pub(crate) use self::giving_up::*;
pub(crate) use self::links::*;
pub(crate) use self::loss::*;
pub(crate) use self::order::*;
pub(crate) use self::queue::*;
