//! A `println!` that ends the program if its reader is gone, as in `... | head -1`. The standard one
//! panics.

macro_rules! println {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        if writeln!(std::io::stdout(), $($text)*).is_err() {
            std::process::exit(0);
        }
    }};
}
