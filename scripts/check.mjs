// `npm run check`: every gate of `npm test` except the tests themselves.
import { build, formatCheck, install, lint, typecheck } from './steps.mjs'

const areBuilt = install() && build()
const failed = areBuilt ? [typecheck, lint, formatCheck].filter((gate) => !gate()) : [build]
process.exitCode = failed.length > 0 ? 1 : 0
