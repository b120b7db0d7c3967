/// Timestamps in the format of RFC 3339.
package enum Timestamp {
  /// Formats a time in UTC, to the millisecond.
  ///
  /// - Parameter time: the time since the epoch, not negative.
  package static func text(_ time: Duration) -> String {
    let (seconds, attoseconds) = time.components
    let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86400)
    // Howard Hinnant's civil_from_days: with years that begin in March, the leap day is the last day.
    let shifted = days + 719_468
    let (era, dayOfEra) = shifted.quotientAndRemainder(dividingBy: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let clock = [rest / 3600, rest / 60 % 60, rest % 60].map { padded($0, 2) }.joined(separator: ":")
    let milliseconds = padded(attoseconds / 1_000_000_000_000_000, 3)
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(clock).\(milliseconds)Z"
  }

  private static func padded(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
