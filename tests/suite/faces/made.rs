//! Small networks made by hand, in the shapes that others have: their ONNX is written field by field.
//!
//! The finders fire where a whole cell has the colour of their first channel, and answer with one
//! and the same box and points around it. The recogniser gives a coarse picture of its crop.

/// A length-delimited field of a protobuf message.
fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    out.extend(varint(content.len() as u64));
    out.extend(content);
    out
}

/// A number field.
fn number(field: u8, value: u64) -> Vec<u8> {
    [varint(u64::from(field) << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 128 {
        out.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A graph that grows.
#[derive(Default)]
pub(super) struct Graph {
    fields: Vec<u8>,
}

impl Graph {
    /// An input of f32; -1 stands for any side.
    pub(super) fn input(&mut self, name: &str, shape: &[i64]) {
        self.fields.extend(bytes(11, &value(name, shape)));
    }

    /// An output of f32 of any shape of so many axes.
    pub(super) fn output(&mut self, name: &str, axes: usize) {
        self.fields.extend(bytes(12, &value(name, &vec![-1; axes])));
    }

    /// A weight that lies in the file.
    pub(super) fn weight(&mut self, name: &str, shape: &[u64], values: &[f32]) {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, shape, 1, &bytes(9, &raw));
    }

    /// A weight that is said to be of a size and lies in another file.
    pub(super) fn weight_elsewhere(&mut self, name: &str, shape: &[u64], file: &str) {
        let entry = [bytes(1, b"location"), bytes(2, file.as_bytes())].concat();
        self.tensor(name, shape, 1, &[bytes(13, &entry), number(14, 1)].concat());
    }

    /// A weight that is said to be of a size, without its values.
    pub(super) fn weight_promised(&mut self, name: &str, shape: &[u64]) {
        self.tensor(name, shape, 1, &[]);
    }

    fn sides(&mut self, name: &str, sides: &[i64]) {
        let raw: Vec<u8> = sides.iter().flat_map(|side| side.to_le_bytes()).collect();
        self.tensor(name, &[sides.len() as u64], 7, &bytes(9, &raw));
    }

    fn tensor(&mut self, name: &str, shape: &[u64], kind: u64, content: &[u8]) {
        let sides: Vec<u8> = shape.iter().flat_map(|side| number(1, *side)).collect();
        let tensor = [&sides[..], &number(2, kind), &bytes(8, name.as_bytes()), content].concat();
        self.fields.extend(bytes(5, &tensor));
    }

    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, &[i64])],
    ) {
        let inputs: Vec<u8> = inputs.iter().flat_map(|name| bytes(1, name.as_bytes())).collect();
        let mut node =
            [inputs, bytes(2, output.as_bytes()), bytes(4, operator.as_bytes())].concat();
        for (name, values) in attributes {
            let values: Vec<u8> =
                values.iter().flat_map(|value| number(8, *value as u64)).collect();
            // 7: a list of whole numbers.
            let attribute = [bytes(1, name.as_bytes()), values, number(20, 7)].concat();
            node.extend(bytes(5, &attribute));
        }
        self.fields.extend(bytes(1, &node));
    }

    /// Cells of `side` px, each a weighted sum for each of `bias.len()` channels.
    fn cells(&mut self, input: &str, output: &str, side: u64, weights: &[f32], bias: &[f32]) {
        let count = bias.len() as u64;
        let (kernel, offset) = (format!("{output}.w"), format!("{output}.b"));
        self.weight(&kernel, &[count, 3, side, side], weights);
        self.weight(&offset, &[count], bias);
        let sides = [side as i64; 2];
        let attributes: [(&str, &[i64]); 2] = [("kernel_shape", &sides), ("strides", &sides)];
        self.node("Conv", &[input, &kernel, &offset], output, &attributes);
    }

    /// Channels last, then `row_len` numbers a row; `lead` axes of length 1 before.
    fn rows(&mut self, input: &str, output: &str, row_len: i64, lead: usize) {
        let (last, shape) = (format!("{output}.last"), format!("{output}.shape"));
        self.node("Transpose", &[input], &last, &[("perm", &[0, 2, 3, 1])]);
        self.sides(&shape, &[&vec![1; lead][..], &[-1, row_len]].concat());
        self.node("Reshape", &[&last, &shape], output, &[]);
        self.output(output, 2 + lead);
    }

    /// The file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.fields.extend(bytes(2, b"made by hand"));
        let version = number(2, 13);
        [number(1, 7), bytes(8, &version), bytes(7, &self.fields)].concat()
    }
}

fn value(name: &str, shape: &[i64]) -> Vec<u8> {
    let side = |(axis, side): (usize, &i64)| match side {
        -1 => bytes(1, &bytes(2, format!("{name}.{axis}").as_bytes())),
        side => bytes(1, &number(1, *side as u64)),
    };
    let sides: Vec<u8> = shape.iter().enumerate().flat_map(side).collect();
    let kind = [number(1, 1), bytes(2, &sides)].concat();
    [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &kind))].concat()
}

/// What a made finder answers where it fires, in cells from the cell's corner: edges as SCRFD says
/// them, five points.
pub(super) const EDGES: [f32; 4] = [2.0, 1.5, 3.0, 4.0];
/// An upright face of 6 cells.
pub(super) const POINTS: [[f32; 2]; 5] =
    [[-0.9, 0.2], [1.9, 0.2], [0.5, 1.8], [-0.6, 3.4], [1.6, 3.4]];

/// Weights of a sum over the first channel of a cell, times `gain`; none of the others.
fn first_channel(side: usize, gain: f32) -> Vec<f32> {
    let plane = side * side;
    [vec![gain / plane as f32; plane], vec![0.0; 2 * plane]].concat()
}

/// A finder of SCRFD's shape: two boxes a cell, of which the second fires, at stride 8; pictures of
/// `(value - 127.5) / 128`.
pub(super) fn scrfd(sides: [i64; 2]) -> Vec<u8> {
    let mut graph = Graph::default();
    graph.input("input.1", &[1, 3, sides[0], sides[1]]);
    for stride in [8_usize, 16, 32] {
        let none = vec![0.0; 3 * stride * stride];
        let gain = if stride == 8 { 0.5 } else { 0.0 };
        let bias = if stride == 8 { 0.5 } else { 0.0 };
        let side = stride as u64;
        let weights = [none.clone(), first_channel(stride, gain)].concat();
        graph.cells("input.1", &format!("class{stride}"), side, &weights, &[0.0, bias]);
        graph.rows(&format!("class{stride}"), &format!("score_{stride}"), 1, 0);
        let bias = [[0.0; 4], EDGES].concat();
        graph.cells("input.1", &format!("edge{stride}"), side, &none.repeat(8), &bias);
        graph.rows(&format!("edge{stride}"), &format!("bbox_{stride}"), 4, 0);
        let bias = [&[0.0; 10][..], POINTS.as_flattened()].concat();
        graph.cells("input.1", &format!("point{stride}"), side, &none.repeat(20), &bias);
        graph.rows(&format!("point{stride}"), &format!("kps_{stride}"), 10, 0);
    }
    graph.finish()
}

/// A finder of YuNet's shape, firing at stride 16; pictures as they are, blue first.
pub(super) fn yunet() -> Vec<u8> {
    let mut graph = Graph::default();
    graph.input("input", &[1, 3, -1, -1]);
    let [left, top, right, bottom] = EDGES;
    let middle = [0.5 * (right - left), 0.5 * (bottom - top)];
    let sides = [(left + right).ln(), (top + bottom).ln()];
    for stride in [8_usize, 16, 32] {
        let none = vec![0.0; 3 * stride * stride];
        let side = stride as u64;
        let gain = if stride == 16 { 1.0 / 255.0 } else { 0.0 };
        let weights = first_channel(stride, gain);
        for (kind, weights, bias) in
            [("cls", &weights, 0.0), ("obj", &none, if stride == 16 { 0.98 } else { 0.0 })]
        {
            graph.cells("input", &format!("{kind}{stride}"), side, weights, &[bias]);
            graph.rows(&format!("{kind}{stride}"), &format!("{kind}_{stride}"), 1, 1);
        }
        let bias = [middle, sides].concat();
        graph.cells("input", &format!("edge{stride}"), side, &none.repeat(4), &bias);
        graph.rows(&format!("edge{stride}"), &format!("bbox_{stride}"), 4, 1);
        graph.cells(
            "input",
            &format!("point{stride}"),
            side,
            &none.repeat(10),
            POINTS.as_flattened(),
        );
        graph.rows(&format!("point{stride}"), &format!("kps_{stride}"), 10, 1);
    }
    graph.finish()
}

/// A recogniser of 112-px crops: the brightness of the second and the third channel in squares of
/// `square_px`, so `2 (112 / square_px)^2` numbers.
pub(super) fn recogniser(input: &str, output: &str, square_px: usize, gain: f32) -> Vec<u8> {
    let mut graph = Graph::default();
    graph.input(input, &[1, 3, 112, 112]);
    let plane = square_px * square_px;
    let (none, sum) = (vec![0.0; plane], vec![gain / plane as f32; plane]);
    let weights = [&none, &sum, &none, &none, &none, &sum].map(|part| &part[..]).concat();
    graph.cells(input, "squares", square_px as u64, &weights, &[0.0, 0.0]);
    let count = 2 * (112 / square_px).pow(2);
    graph.rows("squares", output, count as i64, 0);
    graph.finish()
}
