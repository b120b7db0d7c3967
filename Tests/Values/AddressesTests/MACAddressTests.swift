import Addresses
import Testing

@Suite struct MACAddressTests {
  @Test(arguments: ["02:00:5e:10:00:ff", "02-00-5E-10-00-FF", "02:00:5e:10:00:FF"])
  func readsBothSeparators(_ text: String) {
    #expect(MACAddress(text)?.description == "02:00:5e:10:00:ff")
    #expect(MACAddress(text)?.bytes == [0x02, 0x00, 0x5E, 0x10, 0x00, 0xFF])
  }

  @Test(arguments: [
    "", ":::::", "02:00:5e:10:00", "02:00:5e:10:00:ff:00", "02:00:5e:10:00:f", "02:00:5e:10:00:fff",
    "02:00:5e-10-00-ff",
    "02005e1000ff", "0g:00:00:00:00:00", "+2:00:00:00:00:00", "-2-00-00-00-00-00", " 2:00:00:00:00:00",
    "02:00:5e:10:00:ff ", "０2:00:00:00:00:00", "02:00:5e:10:00:ff\u{0}", "02.00.5e.10.00.ff",
  ])
  func refusesInvalidTexts(_ text: String) { #expect(MACAddress(text) == nil) }

  @Test func needsSixBytes() {
    #expect(MACAddress(bytes: [UInt8](repeating: 1, count: 5)[...]) == nil)
    #expect(MACAddress(bytes: [UInt8](repeating: 1, count: 7)[...]) == nil)
    #expect(MACAddress(bytes: [UInt8](repeating: 1, count: 6)[...]) != nil)
  }

  /// IEEE 802: bit 0 of the first byte is the group bit, bit 1 means locally administered.
  @Test func randomAddressesAreUnicastAndLocal() {
    var generator = SystemRandomNumberGenerator()
    let addresses = (0..<1000).map { _ in MACAddress.random(using: &generator) }
    #expect(addresses.allSatisfy { $0.isUnicast && $0.bytes.first.map { $0 & 2 } == 2 })
    #expect(Set(addresses).count == addresses.count)
    #expect(MACAddress("01:00:5e:00:00:01")?.isUnicast == false)
  }
}
