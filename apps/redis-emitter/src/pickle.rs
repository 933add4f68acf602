//! Pickled plain values, read without running anything.
//!
//! python-socketio published pickled dictionaries before 5.14. A pickle is a program for a stack machine;
//! unpickling it in Python may call any function. This reader knows the instructions that put plain values
//! together — none, booleans, numbers, texts, bytes, lists, tuples, dictionaries — and refuses every other
//! one by its number. There is nothing it could call.
//!
//! ```text
//!  80 04                    protocol          8c 04 'news'   a short text        94      remember it
//!  95 …                     frame             7d             an empty dict       68 04   the remembered one
//!  28 … 75                  mark … set items  4b 01          a small number      2e      the end
//! ```
//!
//! Invariants:
//! - Work and memory are bounded by the length of the input and `bytes_max`: what is remembered is copied on
//!   the budget, and containers are not remembered at all (plain data never asks for one twice).
//! - Depth is bounded by [`DEPTH_MAX`].

use std::collections::HashMap;

use rmpv::Value;

use crate::value::DEPTH_MAX;

/// Why bytes are no pickled plain value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PickleError {
    #[error("its end is missing")]
    Short,
    #[error("instruction {0:#04x} is refused: only plain values are read, objects of Python never are")]
    Instruction(u8),
    #[error("its instructions do not fit together")]
    Broken,
    #[error("it holds text that is not UTF-8")]
    Text,
    #[error("it holds a number of more than 8 bytes")]
    Number,
    #[error("it is deeper than {DEPTH_MAX} levels")]
    Deep,
    #[error("it grows to more than {0} bytes")]
    Large(usize),
    #[error("it holds the same list or dictionary twice")]
    Shared,
}

/// A pickled value. Tuples are told from lists: [`Pickled::tuple`] says whether the value asked for was one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pickled {
    pub(crate) value: Value,
    pub(crate) tuple: bool,
}

/// Reads one pickled dictionary's members; what they grow to is at most about `bytes_max`.
pub(crate) fn read_members(bytes: &[u8], bytes_max: usize) -> Result<Vec<(String, Pickled)>, PickleError> {
    let mut machine = Machine { rest: bytes, budget: bytes_max, bytes_max, ..Machine::default() };
    while !machine.step()? {}
    match (machine.stack.pop(), machine.stack.is_empty()) {
        (Some(Item::Dict { members, .. }), true) => {
            let named = members.into_iter().map(|(key, item)| match key {
                Value::String(name) => match name.into_str() {
                    Some(name) => {
                        let tuple = matches!(item, Item::List { tuple: true, .. });
                        Ok((name, Pickled { value: item.into_value(), tuple }))
                    }
                    None => Err(PickleError::Text),
                },
                _ => Err(PickleError::Broken),
            });
            named.collect()
        }
        _ => Err(PickleError::Broken),
    }
}

/// What lies on the stack.
#[derive(Debug, Clone)]
enum Item {
    Mark,
    Plain(Value),
    List { items: Vec<Value>, tuple: bool, depth: usize },
    Dict { members: Vec<(Value, Item)>, depth: usize },
}

impl Item {
    fn depth(&self) -> usize {
        match self {
            Self::List { depth, .. } | Self::Dict { depth, .. } => *depth,
            Self::Mark | Self::Plain(_) => 0,
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Mark => Value::Nil,
            Self::Plain(value) => value,
            Self::List { items, .. } => Value::Array(items),
            Self::Dict { members, .. } => {
                Value::Map(members.into_iter().map(|(key, item)| (key, item.into_value())).collect())
            }
        }
    }
}

#[derive(Debug, Default)]
struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Item>,
    /// Remembered plain values; a container is remembered as nothing.
    memo: HashMap<u32, Option<Value>>,
    budget: usize,
    bytes_max: usize,
}

impl<'a> Machine<'a> {
    /// Does one instruction and answers whether it was the last.
    fn step(&mut self) -> Result<bool, PickleError> {
        let code = self.byte()?;
        match code {
            b'.' => return Ok(true),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.stack.push(Item::Mark),
            b')' => self.push_list(Vec::new(), true)?,
            b']' => self.push_list(Vec::new(), false)?,
            b'}' => self.stack.push(Item::Dict { members: Vec::new(), depth: 1 }),
            b'a' | b'e' => self.append(code == b'e')?,
            b's' | b'u' => self.set(code == b'u')?,
            b't' => {
                let items = self.since_mark()?;
                self.push_list(items, true)?;
            }
            0x85..=0x87 => {
                let start =
                    self.stack.len().checked_sub(usize::from(code - 0x84)).ok_or(PickleError::Broken)?;
                let items = self.stack.split_off(start);
                self.push_list(items, true)?;
            }
            0x94 | b'q' | b'r' => self.remember(code)?,
            b'h' | b'j' => self.recall(code)?,
            _ => {
                let value = self.scalar(code)?;
                self.stack.push(Item::Plain(value));
            }
        }
        Ok(false)
    }

    fn scalar(&mut self, code: u8) -> Result<Value, PickleError> {
        Ok(match code {
            b'N' => Value::Nil,
            0x88 => Value::Boolean(true),
            0x89 => Value::Boolean(false),
            b'K' => Value::from(self.byte()?),
            b'M' => Value::from(u16::from_le_bytes(self.array()?)),
            b'J' => Value::from(i32::from_le_bytes(self.array()?)),
            b'G' => Value::from(f64::from_be_bytes(self.array()?)),
            0x8a => self.long()?,
            0x8c | b'X' | 0x8d => {
                let length = self.length(code, 0x8c, b'X')?;
                let text = std::str::from_utf8(self.take(length)?).map_err(|_| PickleError::Text)?;
                Value::from(text)
            }
            b'C' | b'B' | 0x8e => {
                let length = self.length(code, b'C', b'B')?;
                Value::from(self.take(length)?)
            }
            other => return Err(PickleError::Instruction(other)),
        })
    }

    /// A whole number in as few little-endian bytes as it needs.
    fn long(&mut self) -> Result<Value, PickleError> {
        let length = usize::from(self.byte()?);
        let bytes = self.take(length)?;
        if length > 8 {
            return Err(PickleError::Number);
        }
        let filling = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let mut whole = [filling; 8];
        whole[..length].copy_from_slice(bytes);
        Ok(Value::from(i64::from_le_bytes(whole)))
    }

    /// The length before a text or bytes: one byte, four or eight.
    fn length(&mut self, code: u8, short: u8, medium: u8) -> Result<usize, PickleError> {
        if code == short {
            return Ok(usize::from(self.byte()?));
        }
        if code == medium {
            return Ok(u32::from_le_bytes(self.array()?) as usize);
        }
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| PickleError::Short)
    }

    fn push_list(&mut self, items: Vec<Item>, tuple: bool) -> Result<(), PickleError> {
        self.stack.push(Item::List { items: Vec::new(), tuple, depth: 1 });
        self.extend(items)
    }

    fn append(&mut self, many: bool) -> Result<(), PickleError> {
        let items = if many { self.since_mark()? } else { vec![self.pop()?] };
        self.extend(items)
    }

    /// Puts values into the list on top of the stack.
    fn extend(&mut self, new: Vec<Item>) -> Result<(), PickleError> {
        let Some(Item::List { items, depth, .. }) = self.stack.last_mut() else {
            return Err(PickleError::Broken);
        };
        for item in new {
            *depth = deeper(*depth, &item)?;
            items.push(item.into_value());
        }
        Ok(())
    }

    fn set(&mut self, many: bool) -> Result<(), PickleError> {
        let pairs = if many {
            self.since_mark()?
        } else {
            vec![self.pop()?, self.pop()?].into_iter().rev().collect()
        };
        let Some(Item::Dict { members, depth }) = self.stack.last_mut() else {
            return Err(PickleError::Broken);
        };
        let mut pairs = pairs.into_iter();
        while let Some(key) = pairs.next() {
            let (Item::Plain(key), Some(item)) = (key, pairs.next()) else { return Err(PickleError::Broken) };
            *depth = deeper(*depth, &item)?;
            members.push((key, item));
        }
        Ok(())
    }

    fn since_mark(&mut self) -> Result<Vec<Item>, PickleError> {
        let mark =
            self.stack.iter().rposition(|item| matches!(item, Item::Mark)).ok_or(PickleError::Broken)?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn remember(&mut self, code: u8) -> Result<(), PickleError> {
        let place = match code {
            b'q' => u32::from(self.byte()?),
            b'r' => u32::from_le_bytes(self.array()?),
            _ => u32::try_from(self.memo.len()).map_err(|_| PickleError::Broken)?,
        };
        let value = match self.stack.last() {
            Some(Item::Plain(value)) => Some(value.clone()),
            Some(_) => None,
            None => return Err(PickleError::Broken),
        };
        // A remembered value is one copy more of it; each costs input to make, but one place may be taken
        // over and over.
        self.spend(value.as_ref())?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, code: u8) -> Result<(), PickleError> {
        let place = match code {
            b'h' => u32::from(self.byte()?),
            _ => u32::from_le_bytes(self.array()?),
        };
        let value = self.memo.get(&place).ok_or(PickleError::Broken)?.clone().ok_or(PickleError::Shared)?;
        self.spend(Some(&value))?;
        self.stack.push(Item::Plain(value));
        Ok(())
    }

    fn spend(&mut self, value: Option<&Value>) -> Result<(), PickleError> {
        let bytes = match value {
            Some(Value::String(text)) => text.as_bytes().len(),
            Some(Value::Binary(bytes)) => bytes.len(),
            _ => 0,
        };
        self.budget = self.budget.checked_sub(bytes).ok_or(PickleError::Large(self.bytes_max))?;
        Ok(())
    }

    fn pop(&mut self) -> Result<Item, PickleError> {
        match self.stack.pop() {
            Some(Item::Mark) | None => Err(PickleError::Broken),
            Some(item) => Ok(item),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], PickleError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(PickleError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(PickleError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        self.array::<1>().map(|[byte]| byte)
    }
}

/// The depth of a container once it holds an item.
fn deeper(depth: usize, item: &Item) -> Result<usize, PickleError> {
    if matches!(item, Item::Mark) {
        return Err(PickleError::Broken);
    }
    let depth = depth.max(item.depth() + 1);
    if depth > DEPTH_MAX { Err(PickleError::Deep) } else { Ok(depth) }
}

#[cfg(test)]
#[path = "pickle_tests.rs"]
mod tests;
