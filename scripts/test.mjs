// `npm test`: install, build, typecheck, lint, format check, then all tests. Arguments after `--` go to vitest.
//
// The last line is always `N passed, N failed`. A gate that fails counts as one failure, and so does a test
// run that ends without a result, so the line never looks better than the exit code.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exitCodeOf } from './exit-code.mjs'
import { bin, build, formatCheck, install, lint, typecheck } from './steps.mjs'
import { summaryLine } from './summary-reporter.mjs'

const counts = { passed: 0, failed: 0, skipped: 0 }

if (install() && build()) {
  counts.failed += [typecheck, lint, formatCheck].filter((gate) => !gate()).length
  runTests(process.argv.slice(2))
} else {
  counts.failed += 1
}
console.log(summaryLine(counts))
process.exitCode = counts.failed > 0 ? 1 : 0

function runTests(args) {
  const folder = mkdtempSync(join(tmpdir(), 'kv-test-'))
  const file = join(folder, 'summary.json')
  const env = { ...process.env, KV_TEST_SUMMARY_FILE: file }
  const exitCode = exitCodeOf(bin('vitest')(['run', ...args], { env }))
  const result = readSummary(file)
  rmSync(folder, { recursive: true, force: true })
  counts.passed += result.passed
  counts.skipped += result.skipped
  counts.failed += exitCode === 0 ? result.failed : Math.max(result.failed, 1)
}

function readSummary(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    // vitest ended before it had a result: the exit code tells, and the caller counts it.
    return { passed: 0, failed: 0, skipped: 0 }
  }
}
