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
      StandardError.write("\(time) \(event.level) \("\(event.message)".onOneLine)\(words)")
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
      !value.isEmpty && value.unicodeScalars.allSatisfy { $0 > " " && $0 != "\"" } && value == value.onOneLine
    return isWord ? value : (try? JSONValue.string(value).text())?.onOneLine ?? "?"
  }
}
