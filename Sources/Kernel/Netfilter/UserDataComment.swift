/// The comment of a rule or an element in its user data, in the format of `nft`.
///
/// User data is a list of entries, each with type, length and value; the comment is a NUL-terminated string.
package enum UserDataComment {
  /// The entry of a comment, cut after 250 bytes.
  static func bytes(_ comment: String) -> [UInt8] {
    let text = Array(comment.utf8.prefix(250)) + [0]
    return [NFTUserData.comment, UInt8(clamping: text.count)] + text
  }

  /// Finds the comment in user data; `nil` if there is none.
  static func read(_ userData: ArraySlice<UInt8>) -> String? {
    var rest = userData
    while let type = rest.first, let length = rest.dropFirst().first, rest.count >= 2 + Int(length) {
      let value = rest.dropFirst(2).prefix(Int(length))
      if type == NFTUserData.comment { return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
      rest = rest.dropFirst(2 + Int(length))
    }
    return nil
  }
}
