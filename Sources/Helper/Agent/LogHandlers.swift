internal import JSON
internal import Linux
package import Logging

/// The format of log lines.
package enum LogFormat: String, CaseIterable, Sendable {
  case text
  case json
}

/// Writes each event as one line to standard error.
package struct LineLogHandler: LogHandler {
  private let format: LogFormat
  package var logLevel: Logger.Level
  package var metadata: Logger.Metadata = [:]

  package init(_ format: LogFormat, level: Logger.Level) {
    self.format = format
    logLevel = level
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Writes one event to standard error.
  package func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { _, new in new }.sorted { $0.key < $1.key }
    let time = Timestamp.text(MonotonicTime.sinceEpoch)
    switch format {
    case .text:
      let words = all.map { " \($0.key)=\(LineLogHandler.quoted("\($0.value)"))" }.joined()
      StandardError.write("\(time) \(event.level) \("\(event.message)".onOneLine)\(words)")
    case .json:
      var object: JSONObject = ["time": .string(time), "level": .string("\(event.level)")]
      object["message"] = .string("\(event.message)")
      for (key, value) in all { object[key] = .string("\(value)") }
      guard let line = try? JSONValue.object(object).text() else { return }
      StandardError.write(line)
    }
  }

  /// Returns one word as it is, and any other text as a JSON string.
  private static func quoted(_ value: String) -> String {
    let isWord =
      !value.isEmpty && value.unicodeScalars.allSatisfy { $0 > " " && $0 != "\"" } && value == value.onOneLine
    return isWord ? value : (try? JSONValue.string(value).text())?.onOneLine ?? "?"
  }
}
