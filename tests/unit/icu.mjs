// What ICU writes, for test_icu.py: a question as JSON on standard input, the answer on standard output.
import { readFileSync } from "node:fs";

const { locales, currencies, numbers, days, intervals, everywhere, languages, counts } = JSON.parse(readFileSync(0, "utf8"));

function written(locale) {
  const tag = `${locale}-u-ca-gregory-nu-latn`;
  const number = new Intl.NumberFormat(tag, { maximumFractionDigits: 20 });
  const date = new Intl.DateTimeFormat(tag, { dateStyle: "long", timeZone: "UTC" });
  const amounts = Object.entries(currencies).map(([currency, { decimals, amounts }]) => {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    const money = new Intl.NumberFormat(tag, { style: "currency", currency, ...digits });
    return [currency, amounts.map((amount) => money.format(amount))];
  });
  return {
    amounts: Object.fromEntries(amounts),
    numbers: numbers.map((value) => number.format(value)),
    days: days.map((day) => date.format(new Date(day))),
    intervals: intervals.map(([first, last]) => date.formatRange(new Date(first), new Date(last))),
  };
}

function thousand(locale) {
  return new Intl.NumberFormat(`${locale}-u-nu-latn`).format(1234);
}

function decimals(currency) {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
}

function categories(language) {
  const rules = new Intl.PluralRules(language);
  return counts.map((count) => rules.select(count));
}

const byName = (names, answer) => Object.fromEntries(names.map((name) => [name, answer(name)]));
process.stdout.write(
  JSON.stringify({
    written: byName(locales, written),
    thousand: byName(everywhere, thousand),
    decimals: byName(Object.keys(currencies), decimals),
    categories: byName(languages, categories),
  }),
);
