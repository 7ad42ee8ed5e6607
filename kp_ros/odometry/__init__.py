"""Visual odometry from tracks: monocular, rectified stereo and RGB-D. Free of ROS."""
