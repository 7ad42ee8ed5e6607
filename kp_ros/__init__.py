"""kp_ros: learned keypoints, descriptors and tracks for every camera frame, as a ROS 2 node and as a library."""

__version__ = "0.1.0"
