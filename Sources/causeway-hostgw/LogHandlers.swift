internal import ArgumentParser
internal import JSON
internal import Linux
internal import Logging

/// How log lines look.
enum LogFormat: String, ExpressibleByArgument, CaseIterable {
  case text
  case json
}

/// Writes each event as one line to standard error.
struct LineLogHandler: LogHandler {
  let format: LogFormat
  var logLevel: Logger.Level
  var metadata: Logger.Metadata = [:]

  init(_ format: LogFormat, level: Logger.Level) {
    self.format = format
    logLevel = level
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { _, new in new }.sorted { $0.key < $1.key }
    let time = Timestamp.text(MonotonicTime.sinceEpoch)
    switch format {
    case .text:
      let words = all.map { " \($0.key)=\(LineLogHandler.quoted("\($0.value)"))" }.joined()
      StandardError.write("\(time) \(event.level) \(LineLogHandler.onOneLine("\(event.message)"))\(words)")
    case .json:
      var object: JSONObject = ["time": .string(time), "level": .string("\(event.level)")]
      object["message"] = .string("\(event.message)")
      for (key, value) in all { object[key] = .string("\(value)") }
      guard let line = try? JSONValue.object(object).text() else { return }
      StandardError.write(line)
    }
  }

  /// As it is where it is one word, else as a JSON string.
  private static func quoted(_ value: String) -> String {
    let isWord =
      !value.isEmpty && value.unicodeScalars.allSatisfy { $0 > " " && $0 != "\"" && $0.value != 127 }
    return isWord ? value : (try? JSONValue.string(value).text()) ?? "?"
  }

  private static func onOneLine(_ text: String) -> String {
    String(text.map { $0.isNewline ? " " : $0 })
  }
}

/// Times as RFC 3339 writes them.
enum Timestamp {
  /// In UTC, to the millisecond; `time` is since the epoch and not before it.
  static func text(_ time: Duration) -> String {
    let (seconds, attoseconds) = time.components
    let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86400)
    // Howard Hinnant's civil_from_days: years that begin in March put the leap day last.
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
