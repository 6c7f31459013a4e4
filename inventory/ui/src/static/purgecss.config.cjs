// Keeps of Tabler what the templates use; see LICENSES.md for the command. Templates put the names of colours together.
module.exports = {
  content: ["../**/*.html", "../**/*.rs"],
  safelist: {
    standard: [/^status-/, /^bg-[a-z]+-lt$/, /^bg-[a-z]+$/, /^text-[a-z]+$/, /^btn-/, /^alert/, /^data-bs-theme/],
    greedy: [/data-bs-theme/],
  },
  variables: true,
  keyframes: true,
  fontFace: true,
};
