import Foundation

/// A colour by lightness, chroma and hue in Oklab, in which equal steps look equal (Ottosson 2020, "A perceptual color
/// space for image processing").
struct PlotColor: Equatable {
  /// 0 black to 1 white.
  let lightness: Double
  /// 0 grey; what a screen cannot show is made greyer.
  let chroma: Double
  /// Degrees: 30 red, 100 yellow, 145 green, 260 blue.
  let hue: Double

  /// Red, green and blue in proportion to light, 0 to 1 each.
  var light: [Double] {
    var chroma = chroma
    while true {
      let light = Self.light(lightness, chroma, hue)
      if chroma <= 0 || light.allSatisfy({ $0 >= -1e-4 && $0 <= 1 + 1e-4 }) { return light.map { min(max($0, 0), 1) } }
      chroma = chroma < 0.005 ? 0 : chroma * 0.96
    }
  }

  /// "#1f6fb4"
  var hexadecimal: String {
    "#"
      + light.map { part in
        let bent = part <= 0.003_130_8 ? 12.92 * part : 1.055 * pow(part, 1 / 2.4) - 0.055
        return String(format: "%02x", locale: nil, Int((255 * bent).rounded()))
      }.joined()
  }

  /// Between 1 and 21, as WCAG 2 counts it.
  func contrast(to other: PlotColor) -> Double {
    let (first, second) = (luminance, other.luminance)
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)
  }

  private var luminance: Double { zip(light, [0.2126, 0.7152, 0.0722]).reduce(0) { $0 + $1.0 * $1.1 } }

  private static func light(_ lightness: Double, _ chroma: Double, _ hue: Double) -> [Double] {
    let a = chroma * cos(hue * .pi / 180), b = chroma * sin(hue * .pi / 180)
    let long = lightness + 0.3963377774 * a + 0.2158037573 * b
    let middle = lightness - 0.1055613458 * a - 0.0638541728 * b
    let short = lightness - 0.0894841775 * a - 1.2914855480 * b
    let (l, m, s) = (long * long * long, middle * middle * middle, short * short * short)
    return [
      4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s, -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
      -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
    ]
  }
}
