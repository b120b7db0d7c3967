/// How `nft` keeps the comment of a rule or an element in its user data: among entries of type, length and value, the
/// one of type 0 (libnftnl, udata.h), a text with its NUL.
package enum UserDataComment {
  static func bytes(_ comment: String) -> [UInt8] {
    let text = Array(comment.utf8.prefix(250)) + [0]
    return [0, UInt8(clamping: text.count)] + text
  }

  /// `nil` where there is none.
  static func read(_ userData: ArraySlice<UInt8>) -> String? {
    var rest = userData
    while let type = rest.first, let length = rest.dropFirst().first, rest.count >= 2 + Int(length) {
      let value = rest.dropFirst(2).prefix(Int(length))
      if type == 0 { return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
      rest = rest.dropFirst(2 + Int(length))
    }
    return nil
  }
}
