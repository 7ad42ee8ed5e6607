"""``python -m kp_ros``: the command line, where its script is not on the path."""

from kp_ros.cli import main

main()
