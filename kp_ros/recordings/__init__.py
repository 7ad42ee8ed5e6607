"""Reading and writing recordings: bags of ROS 1 and 2, videos, folders of images. Free of rclpy."""
