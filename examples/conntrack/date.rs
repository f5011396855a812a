//! Dates in UTC, because the standard library has no time zones.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) struct Date {
    pub(crate) year: u64,
    /// 1 to 12.
    pub(crate) month: usize,
    pub(crate) day: u64,
    /// 0 is Sunday.
    pub(crate) weekday: usize,
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    pub(crate) second: u64,
}

impl Date {
    pub(crate) fn of(time: SystemTime) -> Self {
        let seconds = time
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let mut year = 1970;
        let mut left = days;
        while left >= days_of(year) {
            left -= days_of(year);
            year += 1;
        }
        let leap = days_of(year) == 366;
        let lengths = [
            31,
            28 + u64::from(leap),
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ];
        let mut month = 1;
        for length in lengths {
            if left < length {
                break;
            }
            left -= length;
            month += 1;
        }
        Self {
            year,
            month,
            day: left + 1,
            weekday: (days as usize + 4) % 7,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
        }
    }
}

fn days_of(year: u64) -> u64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if leap { 366 } else { 365 }
}

/// The format of ctime(3).
impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let weekday = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][self.weekday];
        let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
        let month = &months[(self.month - 1) * 3..self.month * 3];
        let (hour, minute, second) = (self.hour, self.minute, self.second);
        write!(
            f,
            "{weekday} {month} {:>2} {hour:02}:{minute:02}:{second:02} {}",
            self.day, self.year
        )
    }
}
