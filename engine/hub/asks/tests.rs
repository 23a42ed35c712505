//! What agents may offer, and what they may not.
