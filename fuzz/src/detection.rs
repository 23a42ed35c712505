//! Files of `engine/detection` under test.

#[path = "../../engine/detection/faces/onnx.rs"]
pub mod onnx;
