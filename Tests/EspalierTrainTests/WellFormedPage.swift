import Testing

/// What any page of ours must be: elements closed in order, attributes quoted once each, nothing fetched from elsewhere.
enum WellFormedPage {
  static func check(_ page: String, sourceLocation: SourceLocation = #_sourceLocation) {
    for word in ["http:", "https:", "<script", "src=", "@import", "url(//", "href", "javascript"] {
      #expect(!page.contains(word), "\(word)", sourceLocation: sourceLocation)
    }
    // Every "<" opens a tag of ours, every "&" one of four entities.
    let markup = page.matches(of: /<(\/?)([a-z][a-zA-Z0-9]*)((?: [a-zA-Z-]+="[^"<>]*")*)(\/?)>/)
    let openings = page.count { $0 == "<" }
    #expect(markup.count == openings - 1, "a tag that is none", sourceLocation: sourceLocation)
    #expect(page.hasPrefix("<!DOCTYPE html>\n"), sourceLocation: sourceLocation)
    #expect(
      page.count { $0 == "&" } == page.matches(of: /&(amp|lt|gt|quot);/).count, sourceLocation: sourceLocation)
    var open: [Substring] = []
    for tag in markup {
      let names = tag.3.matches(of: /([a-zA-Z-]+)="/).map(\.1)
      #expect(Set(names).count == names.count, "\(tag.0)", sourceLocation: sourceLocation)
      if ["meta", "br"].contains(tag.2) || !tag.4.isEmpty { continue }
      if tag.1.isEmpty {
        open.append(tag.2)
      } else {
        #expect(open.popLast() == tag.2, "\(tag.0)", sourceLocation: sourceLocation)
      }
    }
    #expect(open.isEmpty, sourceLocation: sourceLocation)
    for word in ["nan", "inf"] {
      #expect(!page.contains("\"\(word)") && !page.contains(" \(word) "), "\(word)", sourceLocation: sourceLocation)
    }
  }
}
