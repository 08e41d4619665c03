//! What whoever writes past the server may do to a sealed value. Knows no table and no file.

/// A value of so many bytes is tried in each of them.
const SHORT: usize = 200;

/// Copies of a value with one bit flipped, by where: in every byte of a short value, in `most` bytes of a longer one that
/// lie all over it, its first and its last among them.
pub fn flipped(sound: &[u8], most: usize) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let count = if sound.len() <= SHORT {
        sound.len()
    } else {
        most
    };
    (0..count).map(move |n| {
        let at = n * (sound.len() - 1) / (count - 1).max(1);
        let mut flipped = sound.to_vec();
        flipped[at] ^= 1 << (n % 8);
        (at, flipped)
    })
}
