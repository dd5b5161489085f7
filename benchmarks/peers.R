# The calls in R. Started by run.py with the folder of the data; reads lines "case <tab> package <tab> rounds" and
# answers each with one line of JSON: seconds of each round by R's own clock, the answer, or why there is none.

folder <- commandArgs(trailingOnly = TRUE)[1]

installed <- function(package) suppressMessages(suppressWarnings(requireNamespace(package, quietly = TRUE)))

table_of <- function(case, name = "studies") read.csv(file.path(folder, paste0(case, ".", name, ".csv")))

# sets of studies, one a row, fitted one by one
looped <- function(case, method) {
   y <- as.matrix(table_of(case, "y"))
   v <- as.matrix(table_of(case, "v"))
   function() t(sapply(seq_len(nrow(y)), function(i) {
      fit <- try(metafor::rma.uni(y[i, ], v[i, ], method = method), silent = TRUE)
      if (inherits(fit, "try-error")) c(NA, NA) else c(fit$beta[1], fit$tau2)
   }))
}

# each entry reads its data and gives what is timed
calls <- list(
   one_fit = list(metafor = function(case) {
      d <- table_of(case)
      function() {
         fit <- metafor::rma.uni(y, v, data = d, method = "REML", test = "adhoc")
         predict(fit)
         tau2 <- confint(fit)$random["tau^2", ]
         c(fit$beta[1], fit$ci.lb, fit$ci.ub, NA, NA, fit$tau2, tau2[["ci.lb"]], tau2[["ci.ub"]])
      }
   }),
   one_pm = list(metafor = function(case) {
      d <- table_of(case)
      function() {
         fit <- metafor::rma.uni(y, v, data = d, method = "PM", test = "knha")
         c(fit$beta[1], fit$ci.lb, fit$ci.ub, fit$tau2)
      }
   }),
   bulk_reml = list(metafor = function(case) looped(case, "REML")),
   bulk_dl = list(metafor = function(case) looped(case, "DL")),
   bulk_pm = list(metafor = function(case) looped(case, "PM")),
   glmm = list(
      metafor = function(case) {
         d <- table_of(case)
         function() {
            fit <- metafor::rma.glmm(measure = "PLO", xi = x, ni = n, data = d)
            c(fit$beta[1], fit$tau2)
         }
      },
      lme4 = function(case) {
         d <- table_of(case)
         d$study <- factor(seq_len(nrow(d)))
         function() {
            fit <- lme4::glmer(cbind(x, n - x) ~ 1 + (1 | study), data = d, family = binomial, nAGQ = 7)
            c(lme4::fixef(fit)[[1]], as.numeric(lme4::VarCorr(fit)$study))
         }
      }
   ),
   regression = list(metafor = function(case) {
      d <- table_of(case)
      function() {
         fit <- metafor::rma.uni(y, v, mods = ~ x, data = d, method = "REML", test = "knha")
         c(fit$beta, fit$se, fit$tau2)
      }
   }),
   permutation = list(metafor = function(case) {
      fit <- metafor::rma.uni(y, v, mods = ~ x, data = table_of(case), method = "REML")
      function() metafor::permutest(fit, exact = TRUE, progbar = FALSE)$pval[2]
   }),
   leave_one_out = list(metafor = function(case) {
      fit <- metafor::rma.uni(y, v, data = table_of(case), method = "REML")
      function() {
         found <- metafor::leave1out(fit)
         cbind(found$estimate, found$tau2)
      }
   }),
   influence = list(metafor = function(case) {
      fit <- metafor::rma.uni(y, v, data = table_of(case), method = "REML")
      function() {
         found <- influence(fit)$inf
         cbind(found$cook.d, found$dffits, found$tau2.del, found$hat)
      }
   }),
   gosh = list(metafor = function(case) {
      fit <- metafor::rma.uni(y, v, data = table_of(case), method = "REML")
      d <- table_of(case)
      members <- as.matrix(table_of(case, "members")) == 1
      # it draws its subsets itself, so the answer is that of fits to ours
      list(
         call = function() metafor::gosh(fit, subsets = nrow(members), progbar = FALSE),
         answer = function() t(apply(members, 1, function(taken) {
            one <- metafor::rma.uni(y, v, data = d[taken, ], method = "REML")
            c(one$beta[1], one$tau2)
         }))
      )
   }),
   bivariate = list(metafor = function(case) {
      d <- table_of(case)
      k <- nrow(d)
      long <- data.frame(y = c(t(d[, c("y1", "y2")])), study = rep(seq_len(k), each = 2),
                         outcome = factor(rep(1:2, k)))
      within <- lapply(seq_len(k), function(i) {
         s <- c(d$s1[i], d$s2[i])
         matrix(c(1, 0.4, 0.4, 1), 2) * (s %o% s)
      })
      V <- metafor::bldiag(within)
      function() {
         fit <- metafor::rma.mv(y, V, mods = ~ outcome - 1, random = ~ outcome | study, struct = "UN", data = long)
         c(fit$beta, fit$tau2, fit$rho)
      }
   }),
   three_level = list(metafor = function(case) {
      d <- table_of(case)
      d$id <- seq_len(nrow(d))
      function() {
         fit <- metafor::rma.mv(y, v, random = ~ 1 | cluster / id, data = d)
         c(fit$beta[1], fit$se[1], fit$sigma2)
      }
   }),
   selection = list(metafor = function(case) {
      fit <- metafor::rma.uni(y, v, data = table_of(case), method = "ML")
      function() {
         found <- metafor::selmodel(fit, type = "stepfun", steps = 0.025)
         c(found$beta[1], found$tau2, found$delta[2])
      }
   }),
   trim_and_fill = list(metafor = function(case) {
      fit <- metafor::rma.uni(y, v, data = table_of(case), method = "REML")
      function() {
         found <- metafor::trimfill(fit)
         c(found$k0, found$beta[1], found$tau2)
      }
   }),
   egger = list(metafor = function(case) {
      fit <- metafor::rma.uni(y, v, data = table_of(case), method = "REML")
      function() {
         found <- metafor::regtest(fit, model = "lm")
         c(found$zval, found$pval)
      }
   }),
   summary_curve = list(metaSurvival = function(case) {
      d <- table_of(case)
      function() {
         fit <- metaSurvival::msurv(d$study, d$time, d$n_risk, d$survival, confidence = "Greenwood")
         c(fit$summary.random[, 2], fit$heterogeneity[1])
      }
   })
)

clock <- function() as.numeric(Sys.time())

seconds <- function(call, n) {
   start <- clock()
   for (i in seq_len(n)) call()
   (clock() - start) / n
}

# `entry` is the call that is timed, which gives the answer; or a list of the two
measure <- function(entry, rounds) {
   call <- if (is.function(entry)) entry else entry$call
   answer <- if (is.function(entry)) call() else entry$answer()
   once <- seconds(call, 1)
   if (once < 0.2) once <- seconds(call, ceiling(0.2 / max(once, 1e-5)))  # the byte compiler needs a few calls
   inner <- max(1, ceiling(0.02 / once))
   # long ones are not repeated for ever
   rounds <- max(3, min(rounds, floor(4 / (once * inner))))
   list(seconds = vapply(seq_len(rounds), function(i) seconds(call, inner), 0), answer = answer)
}

json <- function(values) {
   shown <- ifelse(is.finite(values), formatC(values, digits = 17, format = "g"), "null")
   paste0("[", paste(shown, collapse = ", "), "]")
}

rows <- function(answer) {
   answer <- if (is.matrix(answer)) answer else matrix(answer, nrow = 1)
   paste0("[", paste(apply(answer, 1, json), collapse = ", "), "]")
}

say <- function(...) {
   cat(..., "\n", sep = "")
   flush(stdout())
}

versions <- vapply(Filter(installed, c("metafor", "lme4", "metaSurvival")), function(p) as.character(packageVersion(p)), "")
say('{"R": "', as.character(getRversion()), '", "packages": {',
    paste0('"', names(versions), '": "', versions, '"', collapse = ", "), "}}")

requests <- file("stdin", "r")
while (length(line <- readLines(requests, 1)) > 0) {
   asked <- strsplit(line, "\t", fixed = TRUE)[[1]]
   reply <- tryCatch({
      found <- suppressWarnings(suppressMessages(
         measure(calls[[asked[1]]][[asked[2]]](asked[1]), as.integer(asked[3]))
      ))
      paste0('{"seconds": ', json(found$seconds), ', "answer": ', rows(found$answer), "}")
   }, error = function(problem) {
      paste0('{"problem": "', gsub('[\\\\"\n]', " ", conditionMessage(problem)), '"}')
   })
   say(reply)
}
