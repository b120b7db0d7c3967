import CNI
import JSON

/// The CNI error that `body` throws; any other error becomes one that no case expects.
func thrown(_ body: () throws -> Void) -> CNIError? {
  do {
    try body()
    return nil
  } catch let error as CNIError {
    return error
  } catch {
    return CNIError(.failed, "not a CNIError: \(error)")
  }
}

/// The fields of a JSON text.
func fields(_ text: String) throws -> JSONFields {
  try JSONFields(document: JSONValue(parsing: Array(text.utf8)), name: "the text")
}
