/// A name with wildcards: `*` stands for any run of characters, dots included, `?` for one.
package struct NamePattern {
  private let pattern: [Character]

  package init(_ pattern: String) { self.pattern = Array(pattern) }

  /// - Complexity: pattern × name.
  package func matches(_ name: String) -> Bool {
    let name = Array(name)
    var p = 0, n = 0, star = -1, resume = 0
    while n < name.count {
      if p < pattern.count, pattern[p] == "*" {
        (star, resume) = (p, n)
        p += 1
      } else if p < pattern.count, pattern[p] == "?" || pattern[p] == name[n] {
        p += 1
        n += 1
      } else if star >= 0 {
        resume += 1
        (p, n) = (star + 1, resume)
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == "*" }
  }
}
