//! One interface between servers and applications: the gateway of Part 2. It is not written yet.
