/// Stops the process with a sentence if `condition` does not hold.
///
/// Used in place of `precondition`, whose message an optimised build drops: here the sentence, with its values, is what tells the
/// author of a model what to mend.
@inline(__always)
package func require(
  _ condition: Bool, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) {
  if !condition { fatalError(message(), file: file, line: line) }
}
