import EspalierTesting
import Testing

/// Flags locate, files configure: a new flag shows up here and wants a reason.
@Suite struct CommandLineHelpTests {
  /// The expected help by the line that asks for it.
  static let expected = CommandLineHelpText.all.components(beginningWith: "$ espalier ")

  @Test("the help of every command is what it was", arguments: expected)
  func help(_ expected: String) throws {
    let asked = expected.prefix { $0 != "\n" }.split(separator: " ").dropFirst(2).map(String.init)
    let outcome = try Command.run(asked, in: "/")
    #expect(outcome.status == 0)
    #expect(outcome.output == expected.drop { $0 != "\n" }.dropFirst())
  }

  @Test("the root help lists every command, and no other is left out of this test")
  func complete() throws {
    let listed = try Command.run(["--help"], in: "/").output.split(separator: "\n").compactMap { line in
      line.hasPrefix("  ") && !line.hasPrefix("   ") ? line.split(separator: " ").first.map(String.init) : nil
    }
    let commands = Set(listed.filter { !$0.hasPrefix("-") && $0 != "See" })
    let tested = Set(Self.expected.compactMap { $0.split(separator: " ").dropFirst(2).first.map(String.init) })
    #expect(commands == tested.filter { !$0.hasPrefix("-") } && commands.count == 26, "\(commands)")
  }
}

extension String {
  /// The stretches that begin with a line of this prefix.
  fileprivate func components(beginningWith prefix: String) -> [String] {
    split(separator: "\n", omittingEmptySubsequences: false).reduce(into: []) { parts, line in
      if line.hasPrefix(prefix) {
        parts.append(line + "\n")
      } else if !parts.isEmpty {
        parts[parts.count - 1] += line + "\n"
      }
    }
  }
}
