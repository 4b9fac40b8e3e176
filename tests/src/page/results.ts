/**
 * What a page tells of the tests it ran. Plain data: it leaves the page as JSON.
 */
export interface PageResult {
  /** Suites from the outside in, then the test. */
  readonly path: readonly string[]
  readonly hasPassed: boolean
  /** What went wrong, each with its stack. */
  readonly errors: readonly string[]
}
