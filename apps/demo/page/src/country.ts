/**
 * Countries as people read them.
 */
const COUNTRIES = new Intl.DisplayNames(['en'], { type: 'region' })

/** `BR` → `Brazil`. */
export function countryName(code: string): string {
  return COUNTRIES.of(code) ?? code
}
