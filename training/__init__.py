"""What makes the models: data, networks, losses, training and export to ONNX."""
