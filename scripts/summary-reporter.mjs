// A vitest reporter whose one line, `N passed, N failed`, is the very last thing the run prints.
//
// A test file that cannot be loaded and an error outside any test count as failures: a failed run never
// reports zero. Under `npm test` the counts go to a file instead, and scripts/test.mjs prints the line.
import { writeFileSync, writeSync } from 'node:fs'

export function summaryLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

export default class SummaryReporter {
  onInit(vitest) {
    this.isWatching = vitest.config.watch
  }

  onTestRunEnd(modules, unhandledErrors, reason) {
    const counts = countTests(modules)
    counts.failed += unhandledErrors.length
    if (reason === 'failed' && counts.failed === 0) counts.failed = 1

    const file = process.env.KV_TEST_SUMMARY_FILE
    if (file) writeFileSync(file, JSON.stringify(counts))
    else if (this.isWatching) console.log(summaryLine(counts))
    else process.once('exit', () => writeSync(1, `${summaryLine(counts)}\n`))
  }
}

function countTests(modules) {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const module of modules) {
    // Errors of a file or of a hook around tests belong to no test.
    if (module.errors().length > 0) counts.failed += 1
    for (const suite of module.children.allSuites()) {
      if (suite.errors().length > 0) counts.failed += 1
    }
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      counts[state === 'passed' || state === 'failed' ? state : 'skipped'] += 1
    }
  }
  return counts
}
