import Testing

import Linux

@Suite struct TimestampTests {
  @Test(arguments: [
    (Duration.zero, "1970-01-01T00:00:00.000Z"),
    (.seconds(951_782_399) + .milliseconds(7), "2000-02-28T23:59:59.007Z"),
    (.seconds(951_782_400), "2000-02-29T00:00:00.000Z"), (.seconds(951_868_800), "2000-03-01T00:00:00.000Z"),
    (.seconds(1_767_225_599) + .milliseconds(999), "2025-12-31T23:59:59.999Z"),
    (.seconds(4_107_542_400), "2100-03-01T00:00:00.000Z"),
  ])
  func rfc3339(time: Duration, expected: String) {
    #expect(Timestamp.text(time) == expected)
  }
}
