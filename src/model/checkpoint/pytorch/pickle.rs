//! The part of the pickle language that state dicts are written in.
//!
//! In: a pickle of protocol 2, which `torch.save` writes. Out: its values. Refuses by name every
//! opcode and every global that a state dict does not need, so that nothing in a file can make
//! anything happen. Memory is bounded: an opcode makes at most one value, and both the pickle's
//! length and the number of its values have a limit.
//!
//! Source: the opcodes as `Lib/pickletools.py` of `CPython` 3.11 describes them.

use std::collections::BTreeMap;

use super::super::Problem;
use super::value::{Global, Id, Storage, TensorView, Value};

/// A pickle is read this far. A state dict spends some hundred bytes a tensor.
const MAX_PICKLE_BYTES: usize = 4 << 20;
/// Values of a pickle: some ten a tensor.
const MAX_VALUES: usize = 1 << 20;
/// The protocol of `torch.save`, unless another is asked for.
const PROTOCOL: u8 = 2;
/// Dimensions of a tensor. Sizes can be shared like any value, so that without a limit a small file
/// could ask for much memory.
const MAX_DIMENSIONS: usize = 16;
/// Length of a storage's name: PyTorch's are the digits of a number.
const MAX_KEY_BYTES: usize = 64;
/// Letters of a name that a message repeats.
const QUOTED: usize = 80;

/// What a pickle made.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with; says how long it is.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, usize), Problem> {
        let length = bytes.len().min(MAX_PICKLE_BYTES);
        let mut machine = Machine {
            rest: &bytes[..length],
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
        };
        let root = machine.run()?;
        let rest = machine.rest.len();
        Ok((Self { values: machine.values, root }, length - rest))
    }

    /// The value that the pickle is of.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn value(&self, id: Id) -> &Value<'a> {
        &self.values[id]
    }

    /// All storages that it names, some perhaps more than once.
    pub(super) fn storages(&self) -> impl Iterator<Item = Storage<'a>> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(**storage),
            _ => None,
        })
    }
}

/// The machine that a pickle is a program for.
struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// Runs to the end; returns what is then on the stack.
    fn run(&mut self) -> Result<Id, Problem> {
        if self.array()? != [0x80, PROTOCOL] {
            return Err(format!("it is no pickle of protocol {PROTOCOL}"));
        }
        loop {
            let [opcode] = self.array()?;
            match opcode {
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'q' => self.memorise_byte()?,
                b'r' => self.memorise()?,
                b'h' => {
                    let [index] = self.array()?;
                    self.recall(u32::from(index))?;
                }
                b'j' => {
                    let index = u32::from_le_bytes(self.array()?);
                    self.recall(index)?;
                }
                b's' => self.set_item()?,
                b'u' => self.set_items()?,
                b'a' => self.append()?,
                b'e' => self.append_all()?,
                b'b' => self.build()?,
                _ => {
                    let value = self.made_by(opcode)?;
                    self.push(value)?;
                }
            }
        }
    }

    /// The value that an opcode makes.
    fn made_by(&mut self, opcode: u8) -> Result<Value<'a>, Problem> {
        Ok(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'J' => Value::Integer(i32::from_le_bytes(self.array()?).into()),
            b'K' => Value::Integer(u8::from_le_bytes(self.array()?).into()),
            b'M' => Value::Integer(u16::from_le_bytes(self.array()?).into()),
            0x8a => self.long()?,
            b'G' => {
                let _: [u8; 8] = self.array()?;
                Value::Float
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                Value::Text(text(self.take(length as usize)?)?)
            }
            b')' => Value::Tuple(Vec::new()),
            b't' => Value::Tuple(self.pop_to_mark()?),
            0x85 => Value::Tuple(self.pop_many::<1>()?.into()),
            0x86 => Value::Tuple(self.pop_many::<2>()?.into()),
            0x87 => Value::Tuple(self.pop_many::<3>()?.into()),
            b']' => Value::List(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            b'c' => Value::Global(self.global()?),
            b'Q' => self.storage()?,
            b'R' => self.reduce()?,
            _ => return Err(refusal(opcode)),
        })
    }

    /// An integer of up to 16 bytes, little-endian, two's complement.
    fn long(&mut self) -> Result<Value<'a>, Problem> {
        let [length] = self.array()?;
        let digits = self.take(length.into())?;
        let fill = if digits.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
        let mut bytes = [fill; 16];
        bytes.get_mut(..digits.len()).ok_or("a number is too large")?.copy_from_slice(digits);
        Ok(Value::Integer(i128::from_le_bytes(bytes)))
    }

    fn global(&mut self) -> Result<Global, Problem> {
        let (module, name) = (self.line()?, self.line()?);
        Global::find(module, name).ok_or_else(|| {
            format!(
                "it asks for {}.{}, which is no part of a state dict of float32 tensors",
                quoted(module),
                quoted(name)
            )
        })
    }

    /// A persistent id: `("storage", type, key, device, count)`, and `None` in older files.
    fn storage(&mut self) -> Result<Value<'a>, Problem> {
        const WRONG: &str = "a storage is described in an unknown way";
        let id = self.pop()?;
        let Value::Tuple(parts) = &self.values[id] else { return Err(WRONG.to_owned()) };
        let (parts, view) = parts.split_at_checked(5).ok_or(WRONG)?;
        let [tag, kind, key, device, count] = parts else { return Err(WRONG.to_owned()) };
        let parts = [tag, kind, key, device, count].map(|&part| &self.values[part]);
        let whole = match view {
            [] => true,
            [view] => matches!(self.values[*view], Value::None),
            _ => false,
        };
        match parts {
            [
                Value::Text("storage"),
                Value::Global(Global::Storage(kind)),
                Value::Text(key),
                Value::Text(_),
                Value::Integer(count),
            ] if whole && key.len() <= MAX_KEY_BYTES => {
                let count = usize::try_from(*count).map_err(|_| WRONG)?;
                Ok(Value::Storage(Box::new(Storage { kind: *kind, key, count })))
            }
            _ => Err(WRONG.to_owned()),
        }
    }

    /// A call; of two things only.
    fn reduce(&mut self) -> Result<Value<'a>, Problem> {
        let [callee, arguments] = self.pop_many()?;
        match (&self.values[callee], &self.values[arguments]) {
            (Value::Global(Global::OrderedDict), Value::Tuple(arguments))
                if arguments.is_empty() =>
            {
                Ok(Value::Dict(Vec::new()))
            }
            (Value::Global(Global::RebuildTensor), Value::Tuple(arguments)) => {
                self.tensor(arguments).map(|view| Value::Tensor(Box::new(view)))
            }
            _ => Err("it calls what is no part of a state dict".to_owned()),
        }
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`.
    fn tensor(&self, arguments: &[Id]) -> Result<TensorView<'a>, Problem> {
        const WRONG: &str = "a tensor is described in an unknown way";
        let arguments: &[Id; 6] = arguments.try_into().map_err(|_| WRONG)?;
        match arguments.map(|argument| &self.values[argument]) {
            [
                Value::Storage(storage),
                Value::Integer(offset),
                Value::Tuple(shape),
                Value::Tuple(strides),
                Value::Bool(_),
                Value::Dict(hooks),
            ] if hooks.is_empty() => Ok(TensorView {
                storage: **storage,
                offset: usize::try_from(*offset).map_err(|_| WRONG)?,
                shape: self.sizes(shape).ok_or(WRONG)?,
                strides: self.sizes(strides).ok_or(WRONG)?,
            }),
            _ => Err(WRONG.to_owned()),
        }
    }

    /// Numbers that may be sizes.
    fn sizes(&self, ids: &[Id]) -> Option<Vec<usize>> {
        if ids.len() > MAX_DIMENSIONS {
            return None;
        }
        ids.iter()
            .map(|&id| match self.values[id] {
                Value::Integer(size) => usize::try_from(size).ok(),
                _ => None,
            })
            .collect()
    }

    fn memorise_byte(&mut self) -> Result<(), Problem> {
        let [index] = self.array()?;
        let top = self.top()?;
        self.memo.insert(index.into(), top);
        Ok(())
    }

    fn memorise(&mut self) -> Result<(), Problem> {
        let index = u32::from_le_bytes(self.array()?);
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), Problem> {
        let id = self.memo.get(&index).ok_or("it recalls what it never noted")?;
        self.stack.push(*id);
        Ok(())
    }

    fn set_item(&mut self) -> Result<(), Problem> {
        let [key, value] = self.pop_many()?;
        self.dict()?.push((key, value));
        Ok(())
    }

    fn set_items(&mut self) -> Result<(), Problem> {
        let items = self.pop_to_mark()?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a key has no value".to_owned());
        }
        self.dict()?.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn append(&mut self) -> Result<(), Problem> {
        let value = self.pop()?;
        self.list()?.push(value);
        Ok(())
    }

    fn append_all(&mut self) -> Result<(), Problem> {
        let values = self.pop_to_mark()?;
        self.list()?.extend(values);
        Ok(())
    }

    /// Attributes of a dictionary: `_metadata`, the versions of the modules, which says nothing of
    /// the tensors.
    fn build(&mut self) -> Result<(), Problem> {
        let state = self.pop()?;
        self.dict()?;
        match &self.values[state] {
            Value::Dict(_) => Ok(()),
            _ => Err("the attributes of a dictionary are no dictionary".to_owned()),
        }
    }

    /// The dictionary on top of the stack.
    fn dict(&mut self) -> Result<&mut Vec<(Id, Id)>, Problem> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::Dict(entries) => Ok(entries),
            _ => Err("it sets items of what is no dictionary".to_owned()),
        }
    }

    /// The list on top of the stack.
    fn list(&mut self) -> Result<&mut Vec<Id>, Problem> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::List(values) => Ok(values),
            _ => Err("it appends to what is no list".to_owned()),
        }
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), Problem> {
        if self.values.len() >= MAX_VALUES {
            return Err(format!("it has more than {MAX_VALUES} values"));
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// The height that the stack must not fall below.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id, Problem> {
        self.stack[self.floor()..].last().copied().ok_or_else(too_little)
    }

    fn pop(&mut self) -> Result<Id, Problem> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many<const COUNT: usize>(&mut self) -> Result<[Id; COUNT], Problem> {
        let values = *self.stack[self.floor()..].last_chunk::<COUNT>().ok_or_else(too_little)?;
        self.stack.truncate(self.stack.len() - COUNT);
        Ok(values)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Problem> {
        let mark = self.marks.pop().ok_or_else(too_little)?;
        Ok(self.stack.split_off(mark))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Problem> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn line(&mut self) -> Result<&'a str, Problem> {
        let length = self.rest.iter().position(|&byte| byte == b'\n').ok_or_else(truncated)?;
        let line = self.take(length)?;
        let [_newline] = self.array()?;
        text(line)
    }
}

fn text(bytes: &[u8]) -> Result<&str, Problem> {
    str::from_utf8(bytes).map_err(|_| "a text is not UTF-8".to_owned())
}

fn too_little() -> Problem {
    "an opcode finds too little on the stack".to_owned()
}

fn truncated() -> Problem {
    format!("a pickle is truncated, or longer than {MAX_PICKLE_BYTES} bytes")
}

/// The beginning of a name that may be anything.
fn quoted(name: &str) -> String {
    name.chars().take(QUOTED).flat_map(char::escape_debug).collect()
}

/// Why an opcode is not read; those that could do something, or that people meet, by name.
fn refusal(opcode: u8) -> Problem {
    let name = match opcode {
        b'i' => "INST",
        b'o' => "OBJ",
        b'P' => "PERSID",
        0x81 => "NEWOBJ",
        0x92 => "NEWOBJ_EX",
        0x82..=0x84 => "EXT",
        0x93 => "STACK_GLOBAL",
        0x8c => "SHORT_BINUNICODE",
        0x94 => "MEMOIZE",
        0x95 => "FRAME",
        0x8b => "LONG4",
        b'B' | b'C' => "BINBYTES",
        b'U' | b'T' => "BINSTRING",
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        _ => return format!("it uses the opcode {opcode:#04x}, which is no part of a state dict"),
    };
    format!("it uses the opcode {name}, which is no part of a state dict")
}
