//! A photo smoothed to flat surfaces, with lines: what a generator learns to draw first.
