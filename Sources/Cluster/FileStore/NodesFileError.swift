package import JSON
package import Linux
package import Nodes

/// Reason why a nodes file cannot be used: the file, the field by its path, the value, the remedy.
package enum NodesFileError: Error, Sendable, Equatable, CustomStringConvertible {
  case absent(file: String)
  case unreadable(SystemError)
  case json(file: String, JSONError)
  case netConf(file: String, NetConfError)
  case missing(file: String, field: String, remedy: String)
  case invalid(file: String, field: String, value: String, expected: String)

  package var description: String {
    switch self {
    case .absent(let file): "\(file) does not exist: write it, or name another with --nodes-file"
    case .unreadable(let error): error.description
    case .json(let file, let error): "\(file): \(error)"
    case .netConf(let file, let error): "\(file): \(error)"
    case .missing(let file, let field, let remedy): "\(file): \(field) is missing: \(remedy)"
    case .invalid(let file, let field, let value, let expected):
      "\(file): \(field) is \"\(value)\", but must be \(expected)"
    }
  }
}
