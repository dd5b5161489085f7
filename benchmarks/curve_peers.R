# IPDfromKM on the figures that curves.py wrote into a folder. Leaves there the version of the package and, for each
# figure, the patients and the seconds taken, or the message with which it stopped. Nothing if it is not installed.

folder <- commandArgs(trailingOnly = TRUE)[1]
if (!suppressWarnings(requireNamespace("IPDfromKM", quietly = TRUE))) quit(status = 0)
inside <- function(...) file.path(folder, paste0(...))
writeLines(as.character(packageVersion("IPDfromKM")), inside("version.txt"))

reconstruct <- function(figure) {
   points <- read.csv(inside(figure$id, ".points.csv"))
   total <- if (is.na(figure$n_events)) NULL else figure$n_events
   ready <- if (figure$table == 1) {
      risk <- read.csv(inside(figure$id, ".risk.csv"))
      IPDfromKM::preprocess(dat = points, trisk = risk$at_risk_time, nrisk = risk$n_at_risk, maxy = 1)
   } else {
      IPDfromKM::preprocess(dat = points, totalpts = figure$n_total, maxy = 1)
   }
   IPDfromKM::getIPD(prep = ready, armID = 0, tot.events = total)$IPD
}

figures <- read.csv(inside("figures.csv"), stringsAsFactors = FALSE)
for (i in seq_len(nrow(figures))) {
   figure <- figures[i, ]
   setTimeLimit(elapsed = 60, transient = TRUE)
   seconds <- system.time(made <- try(suppressWarnings(reconstruct(figure)), silent = TRUE))[["elapsed"]]
   setTimeLimit()
   if (inherits(made, "try-error")) {
      writeLines(conditionMessage(attr(made, "condition")), inside(figure$id, ".stopped.txt"))
   } else {
      made <- data.frame(time = made[[1]], event = made[[2]])
      write.csv(made, inside(figure$id, ".made.csv"), row.names = FALSE)
      writeLines(format(seconds), inside(figure$id, ".seconds.txt"))
   }
}
