"""Back ends of detect_keypoints behind one interface: pictures in, keypoints and how sure they are out."""
