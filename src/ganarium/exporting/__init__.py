"""A trained network taken out of the library: as ONNX or Keras, as one page of HTML, as a folder of the Hub."""
