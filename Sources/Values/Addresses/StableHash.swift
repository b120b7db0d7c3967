/// A number for a text or an address that is the same in every process, unlike Swift's own hashes: FNV-1a of 64 bits
/// (Fowler, Noll, Vo). It spreads names; it keeps no secret.
@inlinable
package func stableHash(_ bytes: some Sequence<UInt8>) -> UInt64 {
  bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}
