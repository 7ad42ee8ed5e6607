"""Everything that imports rclpy: the node and what it needs."""
