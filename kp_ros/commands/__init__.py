"""The subcommands of ``kp_ros``: one file each, with one function ``register(app)``.

Modules here import only what ``--help`` needs; the work's own imports (numpy, OpenCV, ONNX Runtime, rclpy) stand inside
the command, so that ``kp_ros --help`` answers at once.
"""
