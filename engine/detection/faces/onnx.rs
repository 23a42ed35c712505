//! What an ONNX file says of itself, before a library gets to see it.
//!
//! In:  the bytes of a file that somebody dropped in. Out: names of inputs and outputs, or why the
//! file is refused: no ONNX, weights in other files, tensors larger than the file can hold.
//!
//! Reads the frame of protobuf only (ModelProto, GraphProto, TensorProto of ONNX IR 3 to 10): field
//! numbers are those of `onnx.proto`. Whether the operators are known, the library tells.

use std::collections::BTreeSet;

/// Deepest graph within a graph (bodies of `If` and `Loop`).
const DEPTH_MAX: u32 = 4;

/// Most numbers in one tensor: 2^27 f32 are 512 MiB.
const TENSOR_LEN_MAX: u64 = 1 << 27;

/// What goes in and out of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// Names of what has to be given.
    pub inputs: BTreeSet<String>,
    /// Names of what comes out.
    pub outputs: BTreeSet<String>,
}

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// It is not ONNX, or cut off.
    #[error("it is no ONNX file, or a part of one: fetch it again")]
    Damaged,
    /// Weights lie in other files.
    #[error(
        "it keeps weights in another file (`{0}`): save it as one file, \
         `onnx.save(model, path, save_as_external_data=False)`"
    )]
    External(String),
    /// A tensor that no network of this kind has.
    #[error("its tensor `{name}` would have {len} numbers: this is no network for faces")]
    Huge {
        /// Name of the tensor.
        name: String,
        /// How many numbers it says.
        len: u64,
    },
    /// Graphs within graphs within graphs.
    #[error("its graphs are nested too deep: this is no network for faces")]
    Deep,
}

/// Reads what a file says of itself.
///
/// # Errors
/// See [`OnnxError`].
pub fn outline(bytes: &[u8]) -> Result<Outline, OnnxError> {
    let mut outline = None;
    for field in Fields(bytes) {
        // ModelProto: 7 graph
        if let (7, Value::Bytes(graph)) = field? {
            outline = Some(read_graph(graph, 0)?);
        }
    }
    outline.filter(|found| !found.outputs.is_empty()).ok_or(OnnxError::Damaged)
}

fn read_graph(bytes: &[u8], depth: u32) -> Result<Outline, OnnxError> {
    if depth > DEPTH_MAX {
        return Err(OnnxError::Deep);
    }
    let (mut outline, mut kept) = (Outline::default(), BTreeSet::new());
    for field in Fields(bytes) {
        match field? {
            // GraphProto: 1 node, 5 initializer, 11 input, 12 output, 15 sparse_initializer
            (1, Value::Bytes(node)) => read_node(node, depth)?,
            (5, Value::Bytes(tensor)) => drop(kept.insert(read_tensor(tensor)?)),
            (11, Value::Bytes(value)) => drop(outline.inputs.insert(name_of(value)?)),
            (12, Value::Bytes(value)) => drop(outline.outputs.insert(name_of(value)?)),
            (15, Value::Bytes(sparse)) => {
                for field in Fields(sparse) {
                    // SparseTensorProto: 1 values, 2 indices
                    if let (1 | 2, Value::Bytes(tensor)) = field? {
                        read_tensor(tensor)?;
                    }
                }
            }
            _ => {}
        }
    }
    // Older files list weights among the inputs, too.
    outline.inputs.retain(|name| !kept.contains(name));
    Ok(outline)
}

fn read_node(bytes: &[u8], depth: u32) -> Result<(), OnnxError> {
    for field in Fields(bytes) {
        // NodeProto: 5 attribute
        let (5, Value::Bytes(attribute)) = field? else { continue };
        for field in Fields(attribute) {
            match field? {
                // AttributeProto: 5 t, 6 g, 10 tensors, 11 graphs
                (5 | 10, Value::Bytes(tensor)) => drop(read_tensor(tensor)?),
                (6 | 11, Value::Bytes(graph)) => drop(read_graph(graph, depth + 1)?),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The tensor's name, where it may be loaded.
fn read_tensor(bytes: &[u8]) -> Result<String, OnnxError> {
    let (mut name, mut len, mut external) = (String::new(), 1_u64, None);
    for field in Fields(bytes) {
        match field? {
            // TensorProto: 1 dims (packed or one by one), 8 name, 13 external_data, 14 data_location
            (1, Value::Number(side)) => len = len.saturating_mul(side),
            (1, Value::Bytes(mut sides)) => {
                while !sides.is_empty() {
                    let (side, rest) = varint(sides).ok_or(OnnxError::Damaged)?;
                    len = len.saturating_mul(side);
                    sides = rest;
                }
            }
            (8, Value::Bytes(text)) => name = words(text),
            (13, Value::Bytes(entry)) => external = Some(place_of(entry)?),
            (14, Value::Number(1)) => drop(external.get_or_insert_default()),
            _ => {}
        }
    }
    match external {
        Some(file) => Err(OnnxError::External(file)),
        None if len > TENSOR_LEN_MAX => Err(OnnxError::Huge { name, len }),
        None => Ok(name),
    }
}

/// What an entry of `external_data` names.
fn place_of(entry: &[u8]) -> Result<String, OnnxError> {
    let mut place = String::new();
    for field in Fields(entry) {
        // StringStringEntryProto: 2 value
        if let (2, Value::Bytes(text)) = field? {
            place = words(text);
        }
    }
    Ok(place)
}

/// The name of an input or output.
fn name_of(value: &[u8]) -> Result<String, OnnxError> {
    for field in Fields(value) {
        // ValueInfoProto: 1 name
        if let (1, Value::Bytes(text)) = field? {
            return Ok(words(text));
        }
    }
    Err(OnnxError::Damaged)
}

/// A text from the file, fit for one line of a message.
fn words(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().filter(|char| !char.is_control()).take(80).collect()
}

/// One value of protobuf.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Fixed 4 or 8 bytes: none of those is of use here.
    Fixed,
}

/// The fields of one protobuf message; ends after the first that is damaged.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<(u64, Value<'a>)> {
        let (tag, rest) = varint(self.0)?;
        let (value, rest) = match tag & 7 {
            0 => {
                let (number, rest) = varint(rest)?;
                (Value::Number(number), rest)
            }
            1 => (Value::Fixed, rest.get(8..)?),
            2 => {
                let (len, rest) = varint(rest)?;
                let (bytes, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
                (Value::Bytes(bytes), rest)
            }
            5 => (Value::Fixed, rest.get(4..)?),
            _ => return None,
        };
        self.0 = rest;
        Some((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), OnnxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read().ok_or(OnnxError::Damaged);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 127).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 128 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut len = bytes.len();
        while len >= 128 {
            out.push(u8::try_from(len & 127).expect("7 bits") | 128);
            len >>= 7;
        }
        out.push(u8::try_from(len).expect("7 bits"));
        out.extend(bytes);
        out
    }

    fn model(parts: &[Vec<u8>]) -> Vec<u8> {
        let mut graph = parts.concat();
        graph.extend(field(12, &field(1, b"out")));
        field(7, &graph)
    }

    #[test]
    fn our_own_networks_say_what_they_are() {
        let found = outline(crate::detection::detector::LOCALISER).expect("an outline");
        assert_eq!(found.inputs, ["cells".to_owned()].into());
        assert_eq!(found.outputs, ["corners".to_owned(), "heat".to_owned()].into());
    }

    #[test]
    fn weights_in_other_files_are_refused_by_name() {
        let entry = [field(1, b"location"), field(2, b"../../etc/passwd")].concat();
        let tensor = [field(8, b"w"), field(13, &entry), vec![14 << 3, 1]].concat();
        let places = [
            field(5, &tensor),
            // In an attribute, and in the body of an `If`.
            field(1, &field(5, &field(5, &tensor))),
            field(1, &field(5, &field(6, &field(5, &tensor)))),
            field(15, &field(1, &tensor)),
        ];
        for place in places {
            let error = outline(&model(&[place])).expect_err("weights elsewhere");
            assert_eq!(error, OnnxError::External("../../etc/passwd".into()));
        }
        // Said without a place.
        let tensor = [field(8, b"w"), vec![14 << 3, 1]].concat();
        assert_eq!(outline(&model(&[field(5, &tensor)])), Err(OnnxError::External(String::new())));
    }

    #[test]
    fn tensor_of_a_size_that_overflows_is_huge() {
        let side = |count: usize| {
            [vec![1 << 3], [vec![255; 8], vec![127]].concat()].concat().repeat(count)
        };
        let packed = field(1, &[255, 255, 255, 255, 127]);
        for sides in [side(1), side(9), packed] {
            let tensor = [sides, field(8, b"w")].concat();
            let error = outline(&model(&[field(5, &tensor)])).expect_err("huge");
            assert!(matches!(error, OnnxError::Huge { .. }), "{error}");
        }
    }

    #[test]
    fn nested_graphs_end_somewhere() {
        let deep = (0..40).fold(Vec::new(), |graph, _| field(1, &field(5, &field(6, &graph))));
        assert_eq!(outline(&model(&[deep])), Err(OnnxError::Deep));
    }

    #[test]
    fn every_cut_of_a_network_is_damaged_or_says_less() {
        let whole = crate::detection::detector::LOCALISER;
        for len in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
            assert_eq!(outline(&whole[..len]), Err(OnnxError::Damaged), "{len}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _answer = outline(&bytes);
        }
    }
}
