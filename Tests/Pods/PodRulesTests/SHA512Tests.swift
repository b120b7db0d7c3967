import Testing

@testable import PodRules

/// The digest of the examples of FIPS 180-4, and of lengths at which the padding changes.
@Suite struct SHA512Tests {
  @Test(arguments: [
    (
      "",
      "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
    ),
    (
      "abc",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    ),
    (
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
      "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"
    ),
  ])
  func examplesOfFIPS180(_ message: String, _ digest: String) {
    #expect(SHA512.hexadecimal(message) == digest)
  }

  @Test(arguments: [
    (111, "9a2a120825c2319867758ec277924f6f"), (112, "a3722b515ef40c910f2419f6e0da8ca5"),
    (119, "c5df60b24c746cdac9aa906938286db6"), (127, "1d5a8893e7b7ed83d485d26f88cfb846"),
    (128, "e2e22f8422b54b06e35c3ea30a383d1d"), (129, "19015483ea99fa74728fd7b13adba6b7"),
    (239, "805c40517b44cef414a06c632b4ee9c2"), (240, "3e05caa7e0fddab685e6052bd902c316"),
  ])
  func lengthsAtWhichThePaddingChanges(_ count: Int, _ beginning: String) {
    #expect(SHA512.hexadecimal(String(repeating: "x", count: count)).prefix(32) == beginning)
  }
}
