import EspalierState
import Testing

@Suite struct CheckpointJSONTests {
  @Test(
    "what is not strict JSON is refused at the byte where it goes wrong",
    arguments: [
      ("", 0), ("{", 1), ("[1,]", 3), ("[1 2]", 3), ("{\"a\":1,\"a\":2}", 7), ("{\"a\":1,\"\\u0061\":2}", 7),
      ("{a:1}", 1),
      ("01", 1), ("1.", 2), ("1e", 2), (".5", 0), ("+1", 0), ("-", 1), ("NaN", 0), ("nul", 3), ("tru1", 3),
      ("[1] 2", 4),
      ("\"\u{1}\"", 1), ("\"\\x\"", 1), ("\"\\ud800\"", 1), ("\"\\udc00\"", 1), ("\"\\ud800\\u0041\"", 1), ("\"abc", 4),
      ("\"\\u12g4\"", 5), ("'a'", 0), ("[1,2", 4), ("{\"a\" 1}", 5),
    ])
  func refused(text: String, offset: Int) {
    let error = #expect(throws: StrictJSONError.self) { try StrictJSON(parsing: Array(text.utf8)) }
    #expect(error?.byteOffset == offset, "\(text): \(error?.description ?? "")")
  }

  @Test("bytes that are not UTF-8 are refused", arguments: [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]])
  func invalidUTF8(bytes: [UInt8]) {
    #expect(throws: StrictJSONError.self) {
      try StrictJSON(parsing: [UInt8(ascii: "\"")] + bytes + [UInt8(ascii: "\"")])
    }
  }

  @Test("a depth of 32 is read and 33 is refused, even when it never closes")
  func depth() throws {
    func nested(_ depth: Int) -> [UInt8] {
      Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
    }
    #expect(try StrictJSON(parsing: nested(32)).elements?.count == 1)
    #expect(throws: StrictJSONError.self) { try StrictJSON(parsing: nested(33)) }
    #expect(throws: StrictJSONError.self) {
      try StrictJSON(parsing: [UInt8](repeating: UInt8(ascii: "["), count: 1 << 20))
    }
  }

  @Test("canonical text has sorted keys, no spaces, numbers as they were")
  func canonical() throws {
    let text =
      #" { "b" : [1, -2.50e+3, 18446744073709551616], "a": "\u00e9\n\"\/\ud83d\ude00", "": null, "c": {"x": true} } "#
    let expected = "{\"\":null,\"a\":\"é\\u000a\\\"/😀\",\"b\":[1,-2.50e+3,18446744073709551616],\"c\":{\"x\":true}}"
    let json = try StrictJSON(parsing: Array(text.utf8))
    #expect(String(decoding: json.canonical, as: UTF8.self) == expected)
    #expect(try StrictJSON(parsing: json.canonical).canonical == json.canonical)
  }

  @Test(
    "only whole numbers in range are integers",
    arguments: [
      ("0", 0), ("-7", -7), ("9223372036854775807", Int.max), ("1.0", nil), ("1e3", nil), ("-0", nil),
      ("9223372036854775808", nil), ("\"1\"", nil), ("true", nil),
    ] as [(String, Int?)])
  func integers(text: String, value: Int?) throws {
    #expect(try StrictJSON(parsing: Array(text.utf8)).integer == value)
  }
}
