/// A hash that is the same in every process, unlike Swift's own hashes: 64-bit FNV-1a (Fowler, Noll, Vo). It is not
/// cryptographic.
@inlinable
package func stableHash(_ bytes: some Sequence<UInt8>) -> UInt64 {
  bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}
