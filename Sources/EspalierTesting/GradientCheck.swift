/// Gradients of a function of double-precision arrays by central differences, (f(x + h) - f(x - h)) / 2h.
///
/// With h = 1e-5 and values near 1 the error is about 1e-10: far below what single precision can show.
/// - Complexity: two evaluations for each element of the inputs.
package func centralDifferences(
  at inputs: [[Double]], step: Double = 1e-5, of function: ([[Double]]) -> Double
) -> [[Double]] {
  var point = inputs
  return inputs.indices.map { input in
    inputs[input].indices.map { element in
      let middle = inputs[input][element]
      point[input][element] = middle + step
      let above = function(point)
      point[input][element] = middle - step
      let below = function(point)
      point[input][element] = middle
      return (above - below) / (2 * step)
    }
  }
}
