//! A point in time as people write it, in UTC: a server that is run in a container or by another user may not know the
//! reader's time zone.

use std::fmt;
use std::time::SystemTime;

/// A point in time, to the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Date {
    /// `Fri, 20 Nov 2026 13:04:25 GMT` (IMF-fixdate, RFC 9110, section 5.6.7).
    text: String,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Date {
    /// The date of `time`; years go from 1970 to 9999.
    pub fn of(time: SystemTime) -> Date {
        let earliest = SystemTime::UNIX_EPOCH;
        let latest = earliest + std::time::Duration::from_secs(253_402_300_799);
        Date { text: httpdate::fmt_http_date(time.clamp(earliest, latest)) }
    }

    /// `2026-11-20 13:04`.
    pub fn minutes(&self) -> String {
        let month = MONTHS.iter().position(|month| *month == self.month()).unwrap_or_default() + 1;
        format!("{}-{month:02}-{} {}", self.part(12..16), self.part(5..7), self.part(17..22))
    }

    /// `20/Nov/2026:13:04:25 +0000`, as logs of requests have it.
    pub fn in_log(&self) -> String {
        format!("{}/{}/{}:{} +0000", self.part(5..7), self.month(), self.part(12..16), self.part(17..25))
    }

    fn month(&self) -> &str {
        self.part(8..11)
    }

    fn part(&self, range: std::ops::Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_date_is_written_for_a_page_and_for_a_log() {
        let date = |seconds| Date::of(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(date(0).minutes(), "1970-01-01 00:00");
        assert_eq!(date(1_795_179_865).minutes(), "2026-11-20 13:04");
        assert_eq!(date(1_795_179_865).in_log(), "20/Nov/2026:13:04:25 +0000");
        assert_eq!(date(1_795_179_865).to_string(), "Fri, 20 Nov 2026 13:04:25 GMT");
        let before = Date::of(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(before.minutes(), "1970-01-01 00:00");
        assert_eq!(Date::of(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60)).minutes(), "9999-12-31 23:59");
    }
}
